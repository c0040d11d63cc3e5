'use strict';
/*
 * A JavaScript value as JSON, as it is at this moment. Runs where functions are recorded.
 *
 * What JSON has stays as it is. Everything else is a map with `$type`, as docs/functions.md lists them. Nothing is
 * called that a user has written: no getter, no `toJSON`, no trap of a proxy; iterators are not consumed.
 */

const util = require('node:util');

const { types } = util;
/** What bounds the record of a case: what is compared has to be there, as it was. */
const EXACT = { depth: 100, length: 100_000, text: 1_000_000, size: 1_000_000, redact: null, callDepth: 300 };
/** What bounds the others. */
const USUAL = {
  depth: 12,
  length: 1000,
  text: 10_000,
  size: 100_000,
  redact: /passw(or)?d|passphrase|secret|token|authorization|api_?key|private_?key|credential|cookie/i,
  callDepth: 100,
};
const BUILTIN = new Map();
for (const name of Object.getOwnPropertyNames(globalThis)) {
  const held = Object.getOwnPropertyDescriptor(globalThis, name).value;
  if (typeof held === 'function' && held.prototype) BUILTIN.set(held.prototype, name);
}
const OPAQUE = [
  'isPromise',
  'isWeakMap',
  'isWeakSet',
  'isProxy',
  'isMapIterator',
  'isSetIterator',
  'isModuleNamespaceObject',
  'isExternal',
];
/** Prototypes of classes that a project's modules export → `module:Class`. */
const known = new Map();

/** Return the value as JSON; what could not be read is null. */
function snapshot(value, options = USUAL) {
  return new Snapshot(options).take(value);
}

/** One value while it is being written down: `reasons` has what could not be read, `cut` whether a limit cut it. */
class Snapshot {
  constructor(options = USUAL) {
    this._options = options;
    this._left = options.size;
    this._seen = new Map();
    this._trail = [];
    this.reasons = [];
    this.cut = false;
  }

  take(value) {
    this._left -= 1;
    if (value === null || typeof value === 'boolean') return value;
    if (this._left < 0) return this._leftOut({ $type: 'cut' });
    const depth = this._trail.length;
    try {
      return this._made(value);
    } catch (error) {
      this._trail.length = depth;
      this.reasons.push(`${pointer(this._trail) || 'the value'}: ${nameOf(error)}: ${error?.message}`);
      return null;
    }
  }

  _made(value) {
    switch (typeof value) {
      case 'string':
        return this._text(value);
      case 'number':
        return numberOf(value);
      case 'undefined':
        return { $type: 'undefined' };
      case 'bigint':
        return { $type: 'bigint', value: String(value) };
      case 'symbol':
        return { $type: 'symbol', name: value.description ?? '' };
      case 'function':
        return { $type: 'opaque', class: isClass(value) ? 'class' : 'function', name: ownName(value) };
      default:
        return this._object(value);
    }
  }

  _text(value) {
    const limit = Math.min(this._options.text, Math.max(this._left, 0));
    this._left -= Math.min(value.length, limit);
    if (value.length > limit) {
      this.cut = true;
      return { $type: 'str', value: value.slice(0, limit), cut: value.length - limit };
    }
    return value.isWellFormed?.() === false ? { $type: 'str', value: Buffer.from(value).toString() } : value;
  }

  _object(value) {
    if (this._seen.has(value)) return { $type: 'ref', path: pointer(this._seen.get(value)) };
    this._seen.set(value, [...this._trail]);
    const opaque = OPAQUE.find((is) => types[is](value));
    if (opaque) return { $type: 'opaque', class: `node:${opaque.slice(2)}` };
    if (types.isDate(value)) return dateOf(value);
    if (types.isRegExp(value))
      return { $type: 'opaque', class: 'node:RegExp', name: RegExp.prototype.toString.call(value) };
    if (types.isBoxedPrimitive(value)) return this.take(Object.prototype.valueOf.call(value).valueOf());
    if (types.isAnyArrayBuffer(value)) return this._bytes(new Uint8Array(value));
    if (ArrayBuffer.isView(value)) return this._view(value);
    if (types.isGeneratorObject(value)) return { $type: 'generator', name: '' };
    if (this._trail.length >= this._options.depth) return this._leftOut({ $type: 'cut' });
    if (Array.isArray(value)) return this._list(value);
    if (types.isMap(value)) return this._map(value);
    if (types.isSet(value)) return this._set(value);
    return this._fields(value);
  }

  _bytes(value) {
    const limit = Math.min(this._options.text, Math.max(this._left, 0));
    const kept = Buffer.from(value.buffer, value.byteOffset, Math.min(value.byteLength, limit));
    this._left -= kept.length;
    const document = { $type: 'bytes', base64: kept.toString('base64') };
    if (kept.length === value.byteLength) return document;
    this.cut = true;
    return { ...document, cut: value.byteLength - kept.length };
  }

  /** Bytes are bytes; of other arrays the numbers are written. */
  _view(value) {
    if (types.isUint8Array(value) || types.isDataView(value)) return this._bytes(value);
    const [items, cut] = this._items(value, value.length, ['items']);
    return { $type: 'object', class: classOf(value), state: { items }, ...cut };
  }

  _list(value) {
    const [items, cut] = this._items(value, value.length, []);
    return 'cut' in cut ? { $type: 'list', items, ...cut } : items;
  }

  _map(value) {
    const entries = [...Map.prototype.entries.call(value)];
    const [items, cut] = this._items(entries, entries.length, ['entries']);
    return { $type: 'object', class: 'node:Map', state: { entries: items }, ...cut };
  }

  /** A set of simple values is one; other members have to stay in their order. */
  _set(value) {
    const members = [...Set.prototype.values.call(value)];
    const simple = members.every((member) => ['string', 'boolean'].includes(typeof member) || Number.isFinite(member));
    const [items, cut] = this._items(members, members.length, simple ? [] : ['items']);
    if (simple) return { $type: 'set', items, ...cut };
    return { $type: 'object', class: 'node:Set', state: { items }, ...cut };
  }

  _items(values, size, below) {
    const made = [];
    this._trail.push(...below, 0);
    for (let n = 0; n < Math.min(size, this._options.length) && this._left > 0; n++) {
      this._trail[this._trail.length - 1] = n;
      made.push(this._member(values, n));
    }
    this._trail.length -= below.length + 1;
    this.cut = this.cut || made.length < size;
    return [made, made.length < size ? { cut: size - made.length } : {}];
  }

  _fields(value) {
    const keys = Object.keys(value);
    const error = types.isNativeError(value);
    const made = {};
    this._trail.push('');
    for (const key of keys.slice(0, this._options.length)) {
      if (this._left <= 0) break;
      this._left -= key.length;
      this._trail[this._trail.length - 1] = key;
      const taken = this._options.redact?.test(key) ? { $type: 'redacted' } : this._member(value, key);
      Object.defineProperty(made, key, { value: taken, enumerable: true, configurable: true, writable: true });
    }
    this._trail.pop();
    const missing = keys.length - Object.keys(made).length;
    this.cut = this.cut || missing > 0;
    const cut = missing ? { cut: missing } : {};
    if (error) return { $type: 'exception', class: classOf(value), args: [messageOf(value)], state: made, ...cut };
    const prototype = Object.getPrototypeOf(value);
    if (prototype === Object.prototype || prototype === null) {
      return '$type' in made || missing ? { $type: 'dict', fields: made, ...cut } : made;
    }
    return { $type: 'object', class: classOf(value), state: made, ...cut };
  }

  /** Take what is at a key. A getter is not called. */
  _member(value, key) {
    const found = Object.getOwnPropertyDescriptor(value, key);
    if (found === undefined || 'value' in found) return this.take(found?.value);
    this.reasons.push(`${pointer(this._trail)}: a getter, which is not called`);
    return null;
  }

  _leftOut(document) {
    this.cut = true;
    return document;
  }
}

function numberOf(value) {
  if (Number.isNaN(value)) return { $type: 'float', value: 'nan' };
  if (!Number.isFinite(value)) return { $type: 'float', value: value > 0 ? 'inf' : '-inf' };
  return Object.is(value, -0) ? { $type: 'float', value: '-0.0' } : value;
}

function dateOf(value) {
  const time = Date.prototype.getTime.call(value);
  if (Number.isNaN(time)) return { $type: 'opaque', class: 'node:Date', name: 'Invalid Date' };
  return { $type: 'datetime', value: Date.prototype.toISOString.call(value).replace('Z', '+00:00') };
}

const isClass = (value) => /^class\b/.test(Function.prototype.toString.call(value));

function ownName(value) {
  const found = Object.getOwnPropertyDescriptor(value, 'name')?.value;
  return typeof found === 'string' ? found : '';
}

/** Return `module:Class` of an object; without a module where it is not known which one it is from. */
function classOf(value) {
  for (let at = Object.getPrototypeOf(value); at !== null; at = Object.getPrototypeOf(at)) {
    if (known.has(at)) return known.get(at);
    if (BUILTIN.has(at)) return `node:${BUILTIN.get(at)}`;
    const constructor = Object.getOwnPropertyDescriptor(at, 'constructor')?.value;
    if (typeof constructor === 'function' && ownName(constructor)) return `:${ownName(constructor)}`;
  }
  return ':Object';
}

/** Let instances of the classes that a module exports be told by `module:Class`. */
function remember(name, exported) {
  for (const [key, value] of Object.entries(exported)) {
    if (typeof value === 'function' && isClass(value) && value.prototype) known.set(value.prototype, `${name}:${key}`);
  }
}

/** Return what the type of a thrown value is called, and those that it is derived from. */
function namesOf(thrown) {
  if (thrown === null || typeof thrown !== 'object') return [typeof thrown];
  const names = [];
  for (let at = thrown; at !== null && at !== Object.prototype; at = Object.getPrototypeOf(at)) {
    const found = known.get(at) ?? BUILTIN.get(at) ?? named(at);
    if (found && !names.includes(found)) names.push(found);
  }
  return names.length ? names : ['Object'];
}

function named(at) {
  const name = Object.getOwnPropertyDescriptor(at, 'name')?.value;
  if (typeof name === 'string' && name) return name;
  const constructor = Object.getOwnPropertyDescriptor(at, 'constructor')?.value;
  return typeof constructor === 'function' ? ownName(constructor) : '';
}

const nameOf = (thrown) => namesOf(thrown)[0];

/** Return what a thrown value says. */
function messageOf(thrown) {
  try {
    return types.isNativeError(thrown) || thrown instanceof Error ? String(thrown.message) : String(thrown);
  } catch (problem) {
    return `<its text could not be made: ${nameOf(problem)}>`;
  }
}

/** Return keys and indexes as a JSON pointer (RFC 6901). */
function pointer(trail) {
  return trail.map((step) => `/${String(step).replaceAll('~', '~0').replaceAll('/', '~1')}`).join('');
}

module.exports = { EXACT, Snapshot, USUAL, isClass, messageOf, nameOf, namesOf, remember, snapshot };
