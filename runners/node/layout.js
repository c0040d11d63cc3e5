'use strict';
/* The descriptors of a process that the supervisor starts, beside 0 to 2, and how many threads a host may hold. */

module.exports = {
  /** Frames from the supervisor, and what the host itself has to say. */
  CONTROL: 3,
  /** The file that says which test runs where. */
  SLOTS: 4,
  /** Frames of the first thread (in mode bin: of the process); those of the others follow. */
  FIRST_SEAT: 5,
  /** Threads of one host at once; for more, another host is started. */
  SEATS: 8,
};
