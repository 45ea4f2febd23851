import { anything, flag, maybe, nothing, number, object, oneOf, type Shaped, text } from '#base/shape';
import { protocol, told } from './protocol.ts';

/** Load of a process, which a worker reports at each tick. */
const load = object({
  /** Share of the time in which the event loop was busy, 0 to 1. */
  share: number,
  /** Calls that run. */
  calls: number,
  connections: number,
});
export type Load = Shaped<typeof load>;

/** The report of a worker when it accepts connections. */
const readiness = object({
  version: text,
  /** Directory that is removed after its end. */
  directory: maybe(text),
});
export type Readiness = Shaped<typeof readiness>;

/** Connections that may be ended: one of several with calls, or any with calls. */
const movable = oneOf('of several', 'any');
export type Movable = Shaped<typeof movable>;

/** Where a connection was accepted: a listener for gRPC, or a gateway. */
const transport = oneOf('unix', 'tcp', 'tls', 'http', 'ssh');
export type WorkerTransport = Shaped<typeof transport>;

/** Messages to a worker about its life. */
export const TO_WORKER = protocol('worker', {
  /** The directory of the supervisor, which cannot remove it when it is killed. */
  directory: told(text),
  /** The configuration of the worker; see `pack`. */
  start: told(anything),
  /** A connection comes with the message. With `isFollowed`, the worker tells when it is closed. */
  connection: told(object({ id: number, transport, isFollowed: flag })),
  move: told(movable),
  drain: told(nothing),
  stop: told(nothing),
});

/** The number of processes that serve calls. */
export const FAMILY_SIZE = protocol('family', { size: told(number) });

/** Messages of a worker about its life. */
export const TO_SUPERVISOR = protocol('supervisor', {
  ready: told(readiness),
  load: told(load),
  /** A connection was ended so that its client opens another one. */
  moved: told(nothing),
  leaving: told(nothing),
  ended: told(nothing),
});

/** Messages of a worker about connections. */
export const WORKER_CONNECTIONS = protocol('connections', {
  /** Confirms a connection, or leaves it to the supervisor. */
  received: told(object({ id: number, isTaken: flag })),
  closed: told(number),
});
