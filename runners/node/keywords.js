'use strict';
/* The expressions of `-k`: names with `and`, `or`, `not` and parentheses. Pure; runs in the supervisor. */

const TOKEN = /\s*(?:([()])|((?:[\p{L}\p{N}_]|[:+\-.[\]\\/$])+))/uy;
const MOST_DEPTH = 100;

/** An expression is not one; says what was expected at which column, counted from 1. */
class KeywordError extends Error {}

/**
 * Return a function that tells whether an expression is true of a test's names. A name in the expression is true where
 * one of them contains it, whatever the case. An empty expression is true of all.
 * @param {string} expression
 * @returns {(names: string[]) => boolean}
 * @throws {KeywordError}
 */
function compileKeyword(expression) {
  if (!expression.trim()) return () => true;
  const parser = new Parser(expression);
  const tree = parser.readOr(0);
  parser.expectEnd();
  return (names) => tree(names.map((name) => name.toLowerCase()));
}

class Parser {
  constructor(expression) {
    this.tokens = tokensOf(expression.trimEnd());
    this.index = 0;
  }

  readOr(depth) {
    let left = this.readAnd(depth);
    while (this.accept('or')) {
      const [one, other] = [left, this.readAnd(depth)];
      left = (names) => one(names) || other(names);
    }
    return left;
  }

  readAnd(depth) {
    let left = this.readNot(depth);
    while (this.accept('and')) {
      const [one, other] = [left, this.readNot(depth)];
      left = (names) => one(names) && other(names);
    }
    return left;
  }

  readNot(depth) {
    if (depth > MOST_DEPTH) throw new KeywordError(`more than ${MOST_DEPTH} levels deep`);
    if (this.accept('not')) {
      const inner = this.readNot(depth + 1);
      return (names) => !inner(names);
    }
    if (this.accept('(')) {
      const inner = this.readOr(depth + 1);
      if (!this.accept(')')) throw this.problem("')'");
      return inner;
    }
    const [, token] = this.tokens[this.index];
    if (['', 'and', 'or', '(', ')'].includes(token)) throw this.problem("a name, 'not' or '('");
    this.index += 1;
    const part = token.toLowerCase();
    return (names) => names.some((name) => name.includes(part));
  }

  accept(word) {
    if (this.tokens[this.index][1] !== word) return false;
    this.index += 1;
    return true;
  }

  expectEnd() {
    if (this.tokens[this.index][1]) throw this.problem("'and', 'or' or the end");
  }

  problem(expected) {
    const [column, token] = this.tokens[this.index];
    return new KeywordError(`at column ${column}: expected ${expected}, got ${token ? `'${token}'` : 'the end'}`);
  }
}

/** Return `[column, token]` pairs; the last one is the end, an empty token. */
function tokensOf(expression) {
  const tokens = [];
  let at = 0;
  while (at < expression.length) {
    TOKEN.lastIndex = at;
    const match = TOKEN.exec(expression);
    if (!match) {
      const rest = expression.slice(at).trimStart();
      throw new KeywordError(`at column ${expression.length - rest.length + 1}: '${rest[0]}' can be no part of a name`);
    }
    const token = match[1] || match[2];
    tokens.push([TOKEN.lastIndex - token.length + 1, token]);
    at = TOKEN.lastIndex;
  }
  return [...tokens, [expression.length + 1, '']];
}

module.exports = { KeywordError, compileKeyword };
