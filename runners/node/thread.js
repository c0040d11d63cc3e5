'use strict';
/* The entry point of a worker thread: one testd worker, or one that is kept ready. Started by `host.js`. */

const workerThreads = require('node:worker_threads');
const { port, ...settings } = workerThreads.workerData;
workerThreads.workerData = undefined; // ours; what user code finds there is what it would find on the main thread
require('./compiled.js').keepCompiled();
const { Session } = require('./session.js');

const session = new Session(settings, (pid) => port.postMessage({ child: pid }));
port.on('message', (message) => {
  if (message.type === 'Describe') port.postMessage({ awake: true });
  session.hear(message);
});
