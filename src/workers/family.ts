import type { Socket } from 'node:net';
import type { Desk } from './desk.ts';
import type { FamilyServer, FamilyWorker } from './family-server.ts';
import type { Link } from './link.ts';
import type { WorkersMonitoring } from './monitoring.ts';
import type { Follow } from './worker-process.ts';
import type { WorkerTransport } from './worker-protocol.ts';

/** The processes of one server, from the view of one of them. */
export type ProcessFamily = Supervising | Working;

interface Member {
  /** Returns the part of this process in what the running processes share equally, at most 1. */
  readonly share: () => number;
  /** Called once this process accepts calls. */
  onStarted(server: FamilyServer): void;
  /** Ends the processes that depend on this one; their calls may finish. */
  drainOthers(): Promise<void>;
  /** Ends them with their calls. */
  endOthers(): Promise<void>;
}

/** This process accepts connections and keeps what is one per server. */
export interface Supervising extends Member {
  readonly role: 'supervisor';
  readonly sharing: {
    readonly role: 'supervisor';
    /** @see ConnectionSharing of `rpc/server`. */
    handOver(socket: Socket, transport: WorkerTransport, takeBack: () => void): boolean;
  };
  /** Hands over a connection and learns of its end; returns false if this process should serve it. */
  follow(socket: Socket, transport: WorkerTransport, follow: Follow): boolean;
  /** Answers what workers ask for. */
  readonly desk: Desk;
  readonly monitoring: WorkersMonitoring;
  /** Returns the workers that get connections. */
  readonly workers: () => readonly FamilyWorker[];
  /** Returns the workers that may have calls: also those that finish their last ones. */
  readonly serving: () => readonly FamilyWorker[];
}

/** This process serves connections that the supervisor has accepted. */
export interface Working extends Member {
  readonly role: 'worker';
  readonly sharing: { readonly role: 'worker' };
  /** Number of the worker, from 1. */
  readonly number: number;
  /** The channel to the supervisor. */
  readonly link: Link;
}
