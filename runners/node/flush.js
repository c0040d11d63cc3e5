'use strict';
/* Sends what a program could not send before it ended: a process of its own, which it waits for. See `record.js`. */

const fs = require('node:fs');
const { Sender } = require('./sending.js');

const { roots, ...where } = JSON.parse(fs.readFileSync(0, 'utf8'));
const sender = new Sender(where);
for (const { lines, ...root } of roots) sender.put({ ...root, lines: () => lines });
const alive = setInterval(() => {}, 1000);
sender.finish().finally(() => clearInterval(alive));
