'use strict';
/* The entry point of the runner: `node main.js --fd N`, or `--stdio`. Started by a launcher. */

const [least] = [18];
const [how, number] = process.argv.slice(2);
if (Number(process.versions.node.split('.')[0]) < least) {
  process.stderr.write(
    `testd runs tests on Node.js ${least} and later; ${process.execPath} is ${process.versions.node}\n`,
  );
  process.exit(4);
} else if ((how === '--fd' && /^\d+$/.test(number ?? '')) || (how === '--stdio' && number === undefined)) {
  require('./supervisor.js').serve(how === '--fd' ? Number(number) : 0);
} else {
  process.stderr.write('usage: main.js --fd N | --stdio\n');
  process.exit(4);
}
