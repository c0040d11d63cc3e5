'use strict';
/*
 * Where a busy thread is: its JavaScript is paused from outside, through the inspector, and its frames are read. Runs
 * in a host. The thread is about to be ended, so it is never resumed for good.
 */

/** Milliseconds for the inspector to answer. */
const DEADLINE = 1500;
const MOST_FRAMES = 40;

/**
 * Call `done` with the stack of a thread as text, once; with an empty one where it cannot be had.
 * @param {number} threadId
 * @param {(text: string) => void} done
 */
function stackOf(threadId, done) {
  let inspector;
  try {
    inspector = require('node:inspector'); // a Node.js may be built without
  } catch {
    done('');
    return;
  }
  const session = new inspector.Session();
  const scripts = new Map();
  let target = '';
  const finish = (text) => {
    clearTimeout(deadline);
    session.removeAllListeners();
    try {
      if (target) send({ id: 3, method: 'Debugger.disable' }); // one that stays paused cannot be ended
      session.disconnect();
    } catch {
      // it ended meanwhile
    }
    done(text);
  };
  const send = (message) =>
    session.post('NodeWorker.sendMessageToWorker', { sessionId: target, message: JSON.stringify(message) });
  const deadline = setTimeout(() => finish(''), DEADLINE);
  session.on('NodeWorker.attachedToWorker', ({ params }) => {
    const number = /\[worker (\d+)\]/.exec(params.workerInfo.title)?.[1]; // its `workerId` is something else
    if (Number(number) !== threadId) return;
    target = params.sessionId;
    send({ id: 1, method: 'Debugger.enable' });
    send({ id: 2, method: 'Debugger.pause' });
  });
  session.on('NodeWorker.receivedMessageFromWorker', ({ params }) => {
    if (params.sessionId !== target) return;
    const message = JSON.parse(params.message);
    if (message.method === 'Debugger.scriptParsed') scripts.set(message.params.scriptId, message.params.url);
    if (message.method === 'Debugger.paused') finish(shown(message.params.callFrames, scripts));
  });
  session.connect();
  session.post('NodeWorker.enable', { waitForDebuggerOnStart: false });
}

/** Write frames as the agent reads those of every runner: innermost first. */
function shown(frames, scripts) {
  const { pathOf } = require('./text.js');
  const lines = frames
    .slice(0, MOST_FRAMES)
    .map((frame) => ({
      file: pathOf(frame.url || scripts.get(frame.location.scriptId) || ''),
      line: frame.location.lineNumber + 1,
      name: frame.functionName || '<anonymous>',
    }))
    .filter(({ file }) => file && !file.startsWith('node:') && !file.startsWith(__dirname))
    .map(({ file, line, name }) => `  File "${file}", line ${line} in ${name}`);
  return `Current thread (most recent call first):\n${lines.join('\n')}\n`;
}

module.exports = { shown, stackOf };
