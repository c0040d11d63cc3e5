'use strict';
/* What `require('testd')` and `import … from 'testd'` give where testd runs code or records a program. */

exports.traced = require('./traced.js').traced;
