import type { ConnectionSharing } from '#rpc/server/connection/listener';
import type { Desk } from '#workers/desk';
import type { Link } from '#workers/link';
import type { FamilyServer, FamilyWorker } from './members.ts';
import type { WorkersMonitoring } from './monitoring.ts';

/** The processes of one server, from the view of one of them. */
export type Family = Supervising | Working;

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
  readonly sharing: Extract<ConnectionSharing, { role: 'supervisor' }>;
  /** Answers what workers ask for. */
  readonly desk: Desk;
  readonly monitoring: WorkersMonitoring;
  /** Returns the workers that serve calls. */
  readonly workers: () => readonly FamilyWorker[];
}

/** This process serves connections that the supervisor has accepted. */
export interface Working extends Member {
  readonly role: 'worker';
  readonly sharing: Extract<ConnectionSharing, { role: 'worker' }>;
  /** The channel to the supervisor. */
  readonly link: Link;
}
