'use strict';
/*
 * The threads that are ready: an empty one for what comes next, and for the collection that was used last some that
 * have loaded its files. A thread serves one run and ends; a host that holds too much memory ends with its last thread.
 *
 * Runs in the supervisor.
 */

const { Host } = require('./processes.js');

/** KiB that a host may hold between runs before it is replaced: a thread that has ended does not give back all. */
const HOST_MEMORY = 512 * 1024;
/** Threads that wait with files loaded, of all collections: each holds memory. */
const MOST_LOADED = 8;
/** Threads after which a host is replaced, whatever it holds. */
const MOST_THREADS = 1000;
/** Milliseconds after a collection until another thread is made ready: a short run is over by then. */
const LEISURE = 100;

/** A thread that waits for a run: an empty one, or one that holds the files of a collection. */
class Ready {
  constructor(threads, seat, collection) {
    this.threads = threads;
    this.seat = seat;
    this.collection = collection;
    seat.owner = this;
  }

  heard(type, whole) {
    this.threads.heardReady(this, type, whole);
  }

  ended() {
    this.threads.forget(this);
  }
}

class Threads {
  /**
   * @param {any} guardian
   * @param {{preloaded: (whole: Buffer) => void, lost: (host: Host, how: any) => void}} owner
   */
  constructor(guardian, owner) {
    this._guardian = guardian;
    this._owner = owner;
    this._hosts = new Set();
    this._empty = null;
    this._loaded = [];
    this._soon = null;
    this.settings = null;
    this.paused = false;
  }

  /** Every process that there is. */
  get processes() {
    return [...this._hosts].map((host) => host.process);
  }

  /** Return a seat with an empty thread, for a collection or for a worker that nothing was loaded for. */
  take() {
    const ready = this._empty ?? new Ready(this, this._start(), 0);
    this._empty = null;
    return ready.seat;
  }

  /** Return a seat whose thread holds files of a collection, or null. */
  takeLoaded(collection) {
    const at = this._loaded.findIndex((ready) => ready.collection === collection);
    return at < 0 ? null : this._loaded.splice(at, 1)[0].seat;
  }

  /** Keep a thread that has loaded a collection. */
  keep(seat, collection) {
    this._loaded.push(new Ready(this, seat, collection));
    if (this._loaded.length > MOST_LOADED) this._end(this._loaded[0]);
  }

  /** Nothing runs: replace hosts that are worn out, and load the files of a collection into as many threads. */
  prepare(collection, number) {
    for (const host of this._hosts) if (worn(host, this._mostMemory())) this._retire(host);
    this.warm();
    if (collection === null) return;
    for (const ready of this._loaded.filter((found) => found.collection !== collection.number)) this._end(ready);
    for (let have = this._loaded.length; have < number; have++) {
      const seat = this.take();
      this.keep(seat, collection.number);
      seat.tell({ type: 'Preload', collection: collection.number, files: [...collection.used] });
    }
    this.warm();
  }

  /** Have an empty thread ready. */
  warm() {
    clearTimeout(this._soon);
    this._soon = null;
    if (this._empty === null && this.settings.stem !== false) this._empty = new Ready(this, this._start(), 0);
  }

  /** Have one ready in a while, if nobody needs it before: to start it takes a processor from what runs next. */
  warmSoon() {
    this._soon = this._soon ?? setTimeout(() => this.warm(), LEISURE);
  }

  /** Start nothing any more by itself. */
  cease() {
    clearTimeout(this._soon);
  }

  /** Let go of threads that hold a collection, of all where it is 0. */
  drop(collection) {
    for (const ready of this._loaded.filter((found) => !collection || found.collection === collection))
      this._end(ready);
  }

  /** Let go of every host that nobody uses, the others when they become idle. */
  renew() {
    this._empty = null;
    for (const host of this._hosts) this._retire(host);
  }

  pause(yes) {
    this.paused = yes;
    for (const host of this._hosts) host.process.pause(yes);
  }

  heardReady(ready, type, whole) {
    if (type === 'Preloaded') this._owner.preloaded(whole);
  }

  forget(ready) {
    if (this._empty === ready) this._empty = null;
    this._loaded = this._loaded.filter((found) => found !== ready);
  }

  _end(ready) {
    this.forget(ready);
    ready.seat.end();
  }

  _mostMemory() {
    return Number(this.settings.settings?.host_memory) || HOST_MEMORY;
  }

  _start() {
    let seat;
    for (const host of this._hosts) seat = seat ?? host.free;
    if (seat === undefined) seat = this._startHost().free;
    const { root, kind, settings } = this.settings;
    const { capture_limit: captureLimit, output_limit: outputLimit, memory_limit: limit } = this.settings;
    const heap = limit ? Math.max(16, Math.floor(limit / 1024)) : 0;
    seat.host.started += 1;
    seat.start({ root, kind, settings, capture_limit: captureLimit, output_limit: outputLimit, heap });
    return seat;
  }

  _startHost() {
    const host = new Host(this.settings, this._guardian, (gone, how) => this._gone(gone, how));
    host.released = (memory) => {
      host.memory = memory;
      if (host.retired && host.idle) host.process.kill();
    };
    host.process.pause(this.paused);
    this._hosts.add(host);
    return host;
  }

  _retire(host) {
    host.retired = true;
    for (const ready of [this._empty, ...this._loaded])
      if (ready !== null && ready.seat.host === host) this._end(ready);
    if (host.idle) host.process.kill();
  }

  _gone(host, how) {
    this._hosts.delete(host);
    const owners = host.seats.map((seat) => seat.owner).filter((owner) => owner !== null);
    for (const owner of owners) if (owner instanceof Ready) this.forget(owner);
    this._owner.lost(host, how);
  }
}

const worn = (host, most) => !host.retired && (host.memory > most || host.started > MOST_THREADS);

module.exports = { Threads };
