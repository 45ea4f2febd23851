import type { Socket } from 'node:net';
import type { NewRepositories } from './new-repositories.ts';
import type { Slots } from './slots.ts';

/** The processes of one server, as seen by a gateway in one of them. */
export interface GatewayFamily {
  readonly sharing: GatewaySharing;
  readonly state: GatewayState;
}

/** Connections are accepted by one process, which may hand them over. */
export type GatewaySharing =
  | {
      readonly role: 'supervisor';
      /**
       * Hands over a new connection before anything is read from it. Returns false if it is not
       * taken.
       */
      handOver(socket: Socket, follow: HandedOver): boolean;
    }
  /** Does not listen: connections are passed to `receive`. */
  | { readonly role: 'worker' };

/** The two results of a connection that was handed over. One of them is called, once. */
export interface HandedOver {
  /** Serves it here after all. */
  takeBack(): void;
  /** The connection is closed, possibly because its process has ended. */
  onClosed(): void;
}

/** State that all processes of a server share. */
export interface GatewayState {
  /** Requests over HTTP. */
  readonly requests: Slots;
  /** Requests to the API in a minute. */
  readonly calls: Slots;
  /** Streams of events over HTTP. */
  readonly events: Slots;
  readonly newRepositories: NewRepositories;
}

/** A gateway of a server that can have several processes. */
export interface SharedGateway {
  /** Serves a connection that another process has accepted. */
  receive(socket: Socket): void;
  /** Number of connections that this process serves. */
  readonly connections: number;
}
