'use strict';
/* The entry point of a process that is one testd worker (mode bin). Started by the supervisor; see `processes.js`. */

const net = require('node:net');
const { FrameBuffer, payloadOf } = require('./framing.js');
const { unpack } = require('./msgpack.js');
const { CONTROL, FIRST_SEAT, SLOTS } = require('./layout.js');
require('./compiled.js').keepCompiled();
const { Session } = require('./session.js');

process.debugPort = 0; // where the supervisor asks a busy process where it is: any free port
const settings = JSON.parse(process.argv[2]);
process.argv.splice(2, 1);
const session = new Session({ ...settings, fd: FIRST_SEAT, slots: SLOTS, number: 0 }, () => {});
const incoming = new FrameBuffer();
const control = new net.Socket({ fd: CONTROL, readable: true, writable: false });
const gone = () => process.kill(-process.pid, 'SIGKILL'); // the supervisor is: so is everything that it started
control.on('data', (data) => {
  for (const whole of incoming.feed(data)) session.hear(unpack(payloadOf(whole)).message);
});
control.on('end', gone);
control.on('error', gone);
