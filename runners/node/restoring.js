'use strict';
/*
 * Values from their JSON, as `values.js` writes it and as people write it by hand. Runs where functions are recorded.
 */

/** A document that stands for no value: says where, and why. */
class RestoreError extends Error {}

/**
 * Return the value of a document, made anew.
 * @param {any} document
 * @param {(name: string) => Function | undefined} [classNamed] finds the class of an object, `module:Class`
 * @throws {RestoreError}
 */
function restore(document, classNamed = () => undefined) {
  return new Restoring(classNamed).value(document, '');
}

class Restoring {
  constructor(classNamed) {
    this._classNamed = classNamed;
    this._made = new Map();
  }

  value(document, place) {
    if (document === null || typeof document !== 'object') return document;
    if (Array.isArray(document)) return this._list(document, place);
    const { $type: tag } = document;
    if (tag === undefined) return this._fields(this._note(place, {}), document, place);
    const maker = Object.hasOwn(MAKERS, tag) ? MAKERS[tag] : undefined;
    if (maker === undefined) {
      const all = Object.keys(MAKERS).sort().join(', ');
      throw new RestoreError(`${place || 'the value'} has the $type '${tag}'; on Node.js there are ${all}`);
    }
    try {
      return maker(this, document, place);
    } catch (error) {
      if (error instanceof RestoreError) throw error;
      throw new RestoreError(`${place || 'the value'} cannot be restored as '${tag}': ${error.message}`);
    }
  }

  found(path) {
    if (this._made.has(path)) return this._made.get(path);
    throw new RestoreError(`a reference to '${path}', where nothing stands that it could mean`);
  }

  list(items, place) {
    return this._list(items ?? [], place);
  }

  fields(made, fields, place) {
    return this._fields(this._note(place, made), fields ?? {}, place);
  }

  /** An object of its class, whose constructor is not called; a plain one where the class is not known. */
  object({ class: name = '', state = {} }, place) {
    if (name === 'node:Map') return new Map(this._list(state.entries ?? [], place));
    if (name === 'node:Set') return new Set(this._list(state.items ?? [], place));
    return this.fields(Object.create(this._classNamed(name)?.prototype ?? Object.prototype), state, place);
  }

  exception({ class: name = '', args = [], state = {} }, place) {
    const made = new (globalThis[name.replace(/^node:/, '')] ?? Error)(args[0] ?? '');
    const found = this._classNamed(name);
    if (found) Object.setPrototypeOf(made, found.prototype);
    return this.fields(made, state, place);
  }

  _note(place, made) {
    this._made.set(place, made);
    return made;
  }

  _list(items, place) {
    const made = this._note(place, []);
    items.forEach((item, n) => made.push(this.value(item, `${place}/${n}`)));
    return made;
  }

  _fields(made, fields, place) {
    for (const [key, inner] of Object.entries(fields)) {
      const below = `${place}/${key.replaceAll('~', '~0').replaceAll('/', '~1')}`;
      const value = this.value(inner, below);
      Object.defineProperty(made, key, { value, writable: true, enumerable: true, configurable: true });
    }
    return made;
  }
}

const FLOATS = { nan: NaN, inf: Infinity, '-inf': -Infinity };
const bytes = (part, { base64 }) => Buffer.from(base64, 'base64');
const MAKERS = {
  undefined: () => undefined,
  bigint: (part, { value }) => BigInt(value),
  symbol: (part, { name }) => Symbol(name),
  int: (part, { value }) => (Number.isSafeInteger(Number(value)) ? Number(value) : BigInt(value)),
  float: (part, { value }) => FLOATS[value] ?? Number(value),
  str: (part, { value }) => String(value),
  bool: (part, { value }) => Boolean(value),
  datetime: (part, { value }) => new Date(value),
  date: (part, { value }) => new Date(value),
  bytes,
  bytearray: bytes,
  list: (part, { items }, place) => part.list(items, place),
  tuple: (part, { items }, place) => part.list(items, place),
  set: (part, { items }, place) => new Set(part.list(items, place)),
  dict: (part, { fields, items }, place) =>
    items ? new Map(part.list(items, place)) : part.fields({}, fields, place),
  object: (part, document, place) => part.object(document, place),
  exception: (part, document, place) => part.exception(document, place),
  ref: (part, { path }) => part.found(path),
};

module.exports = { RestoreError, restore };
