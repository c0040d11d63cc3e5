'use strict';
/*
 * Which functions and classes a source defines at its top level, and that source with each of them handed over. Pure.
 *
 * A declared function is there before the first statement runs, so it is handed over in front of that; what a variable
 * or an export gets, behind the last one. Lines stay where they are.
 */

const SPACE = /(?:\s|\/\/[^\n]*|\/\*[\s\S]*?\*\/)+/y;
const WORD = /[\p{ID_Start}$_][\p{ID_Continue}$]*/uy;
const STRING = /'(?:[^'\\\n]|\\[\s\S])*'|"(?:[^"\\\n]|\\[\s\S])*"/y;
const REGEX = /\/(?:[^/\\[\n]|\\.|\[(?:[^\]\\\n]|\\.)*\])+\/[a-z]*/y;
const NUMBER = /\.?\d[\w.]*/y;
const PUNCTUATION = /=>|\?\.|\.\.\.|[{}()[\];,<>=!+\-*/%&|^~?:.@#]/y;
/** Behind these words an expression begins: a slash is a regular expression, `function` no declaration. */
const BEFORE_EXPRESSION =
  /^(?:return|typeof|instanceof|in|of|new|delete|void|throw|case|do|else|await|yield|[{}([;,<>=!+\-*/%&|^~?:]|=>|\.\.\.|)$/;
const OPERATOR = /^(?:return|typeof|instanceof|in|of|new|delete|void|throw|await|yield|[([,<>=!+\-*/%&|^~?:]|=>)$/;

/**
 * Return the tokens of a source as `{text, at, depth}`: words, punctuation, and `''` for any other value.
 * @param {string} source
 */
function tokensOf(source) {
  const tokens = [];
  const templates = []; // the depth at which each open template goes on
  let at = source.startsWith('#!') ? source.indexOf('\n') + 1 || source.length : 0;
  let depth = 0;
  const take = (pattern) => {
    pattern.lastIndex = at;
    const found = pattern.exec(source)?.[0];
    if (found !== undefined) at += found.length;
    return found;
  };
  while (at < source.length) {
    if (take(SPACE) !== undefined) continue;
    const begin = at;
    const before = tokens[tokens.length - 1]?.text;
    const word = take(WORD);
    if (word !== undefined) tokens.push({ text: word, at: begin, depth });
    else if (source[at] === '`' || (source[at] === '}' && templates[templates.length - 1] === depth)) {
      if (source[at] === '}') templates.pop();
      at = template(source, at + 1);
      if (source[at - 1] === '{') templates.push(depth);
      else tokens.push({ text: '', at: begin, depth });
    } else if (take(STRING) !== undefined || take(NUMBER) !== undefined) tokens.push({ text: '', at: begin, depth });
    else if (source[at] === '/' && BEFORE_EXPRESSION.test(before ?? '') && take(REGEX) !== undefined)
      tokens.push({ text: '', at: begin, depth });
    else {
      const mark = take(PUNCTUATION) ?? source[at++];
      if (')]}'.includes(mark)) depth -= 1;
      tokens.push({ text: mark, at: begin, depth });
      if ('([{'.includes(mark)) depth += 1;
    }
  }
  return tokens;
}

/** Return the place behind a piece of a template: its end, or the brace of what is put into it. */
function template(source, begin) {
  for (let at = begin; at < source.length; at++) {
    if (source[at] === '\\') at += 1;
    else if (source[at] === '`') return at + 1;
    else if (source[at] === '$' && source[at + 1] === '{') return at + 2;
  }
  return source.length;
}

/**
 * Return what a source defines: `[{name, at, kind}]`, where the kind is `function`, `class`, `const`, `variable` or
 * `export`, and `at` the place of the definition; of a `const` that of the word.
 * @param {string} source
 */
function definitionsOf(source) {
  const tokens = tokensOf(source);
  const found = [];
  if (tokens.some(({ depth }) => depth < 0) || (tokens.length && endOf(tokens) !== 0)) return found; // not understood
  tokens.forEach(({ text, at, depth }, n) => {
    if (depth !== 0) return;
    const next = (step) => tokens[n + step]?.text;
    if (text === 'function' || text === 'class') {
      const name = tokens[n + (next(1) === '*' ? 2 : 1)];
      if (name !== undefined && isName(name.text) && isStatement(tokens, n)) found.push({ name: name.text, at, kind: text });
    } else if (['const', 'let', 'var'].includes(text) && next(-1) !== '.') {
      if (isName(next(1)) && next(2) === '=' && isFunction(tokens, n + 3))
        found.push({ name: next(1), at, kind: text === 'const' ? text : 'variable' });
    } else if (text === 'exports' && next(1) === '.' && isName(next(2)) && next(3) === '=' && isFunction(tokens, n + 4))
      found.push({ name: next(2), at, kind: 'export' });
  });
  return found;
}

/** Return how deep the end of a source is inside of brackets. */
function endOf(tokens) {
  const { text, depth } = tokens[tokens.length - 1];
  return '([{'.includes(text) && text ? depth + 1 : depth;
}

const isName = (text) => text !== undefined && /^[\p{ID_Start}$_]/u.test(text) && text !== 'extends';

/** Whether the word at a place begins a statement, `export`, `default` and `async` in front of it included. */
function isStatement(tokens, n) {
  let before = n - 1;
  while (['async', 'export', 'default'].includes(tokens[before]?.text)) before -= 1;
  return before < 0 || !OPERATOR.test(tokens[before].text);
}

/** Whether the expression at a place is a function or a class. */
function isFunction(tokens, n) {
  const at = tokens[n]?.text === 'async' && tokens[n + 1]?.text !== '=>' ? n + 1 : n;
  const first = tokens[at];
  if (first === undefined) return false;
  if (first.text === 'function' || first.text === 'class') return true;
  if (first.text !== '(') return isName(first.text) && tokens[at + 1]?.text === '=>';
  const end = tokens.findIndex((token, m) => m > at && token.text === ')' && token.depth === first.depth);
  return end > 0 && tokens[end + 1]?.text === '=>';
}

/**
 * Return a source that hands over what it defines to `globalThis[Symbol.for(symbol)](file)`, which gives a function
 * of a body, its name and its line; what that returns takes the place of the body.
 * @param {string} source
 * @param {string} file
 * @param {string} symbol
 */
function handingOver(source, file, symbol) {
  const definitions = definitionsOf(source);
  if (!definitions.length) return source;
  const lineOf = (at) => source.slice(0, at).split('\n').length;
  const give = (target, { name, at }) => `${target}=$testd(${target},${JSON.stringify(name)},${lineOf(at)});`;
  const taken = `const $testd=globalThis[Symbol.for(${JSON.stringify(symbol)})]?.(${JSON.stringify(file)})`;
  const block = (body) => (body ? `;{${taken};if($testd){${body}}}` : '');
  const first = definitions.filter(({ kind }) => kind === 'function').map((each) => give(each.name, each));
  const last = definitions.flatMap((each) => {
    if (each.kind === 'function') return [];
    if (each.kind === 'class') return [`$testd(${each.name},${JSON.stringify(each.name)},${lineOf(each.at)});`];
    return [give(each.kind === 'export' ? `module.exports.${each.name}` : each.name, each)];
  });
  let made = source;
  for (const { at } of definitions.filter(({ kind }) => kind === 'const').reverse())
    made = `${made.slice(0, at)}let  ${made.slice(at + 5)}`;
  const start = beginning(source);
  return `${made.slice(0, start)}${block(first.join(''))}${made.slice(start)}\n${block(last.join(''))}`;
}

/** Return where the first statement of a source begins, behind what says how it is read. */
function beginning(source) {
  const [directives] = /^(?:#![^\n]*\n?)?(?:(?:\s|\/\/[^\n]*\n|\/\*[\s\S]*?\*\/)*(?:'[^'\n]*'|"[^"\n]*")\s*(?:;|\n|$))*/.exec(source);
  return directives.length;
}

module.exports = { definitionsOf, handingOver };
