'use strict';
// Facts about what a source defines, on whatever Node.js runs this: `node definitions.js FOLDER-OF-THE-RUNNER`.

const assert = require('node:assert');
const path = require('node:path');
const vm = require('node:vm');

const { definitionsOf, handingOver } = require(path.join(process.argv[2], 'definitions.js'));
const found = (source) => definitionsOf(source).map(({ kind, name }) => `${kind} ${name}`);

/** Run a source as a CommonJS module; return what it handed over, and what it exports. */
function run(source) {
  const taken = [];
  globalThis[Symbol.for('taker')] = () => (body, name, line) => {
    taken.push(`${line} ${name}`);
    return Object.assign((...given) => body(...given), { taken: true });
  };
  const module = { exports: {} };
  vm.runInThisContext(`(function (module, exports) {${handingOver(source, '/x.js', 'taker')}\n})`)(module, module.exports);
  return { taken, exports: module.exports };
}

assert.deepStrictEqual(
  found(`#!/usr/bin/env node
    'use strict'; // function no() {}
    const re = /function no() {}[/]/g, half = 1 / 2 / 3;
    const text = \`a \${(() => { function inner() {} return '}'; })()} function no() {} \`;
    export async function a(x) { return \`\${x}\`; }
    export default function* b() {}
    class C extends D { m() { function q() {} } static { function r() {} } }
    const f = (x, y = ')') => x / y / 2;
    let g = async x => x;
    var h = async function () {};
    const sum = (1 + 2) * 3;
    exports.e = function () {};
    module.exports.z = () => 1;
    const o = { function: 1, class: 2, m() {} };
    if (x) { function below() {} }
    x = function named() {}; y = class Named {};
    foo
    function late() {}
    o.const = 1; o.function()
    const T = async => async;`),
  ['function a', 'function b', 'class C', 'const f', 'variable g', 'variable h', 'export e', 'export z', 'function late',
    'const T'],
);
assert.deepStrictEqual(found('function f() { }}'), [], 'what is not understood stays as it is');
assert.deepStrictEqual(found('function f( {'), []);
assert.strictEqual(handingOver('const x = 1;', '/x.js', 'taker'), 'const x = 1;');

const { taken, exports: made } = run(
  "'use strict';\nexports.early = inner;\nfunction inner() { return this === undefined; }\n\nexports.outer = () => inner();\nconst f = () => 5;\nexports.late = () => f;",
);
assert.deepStrictEqual(taken, ['3 inner', '5 outer', '6 f', '7 late']);
assert.ok(made.early.taken && made.outer.taken && made.late().taken);
assert.ok(made.outer(), 'it is as strict as before');
