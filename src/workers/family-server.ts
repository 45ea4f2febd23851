import type { Socket } from 'node:net';
import type { MetricsRegistry } from '#platform/metrics/metrics-registry';
import type { Link } from './link.ts';
import type { Load, Movable, WorkerTransport } from './worker-protocol.ts';

/** The part of a server that its other processes use. */
export interface FamilyServer {
  readonly front: FamilyFront;
  /** Directory of this process, which is removed at its end. */
  readonly directory: string | undefined;
  /**
   * Called with the process id after the end of a worker and, in a worker, of the supervisor.
   * Resolves when what that process has left has ended; never rejects.
   */
  readonly onOtherEnded: (pid: number) => Promise<void>;
  readonly registry: MetricsRegistry;
}

/** The connections of a server. */
export interface FamilyFront {
  readonly load: Omit<Load, 'share'>;
  /** Serves a connection that another process has accepted. */
  receive(socket: Socket, transport: WorkerTransport): void;
  /** Ends a connection so that its client opens another one. False if there is none. */
  moveConnection(which: Movable): boolean;
}

/** A worker that serves calls. */
export interface FamilyWorker {
  readonly number: number;
  readonly link: Link;
}
