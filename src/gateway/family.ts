import type { Socket } from 'node:net';
import type { NewRepositories } from './new-repositories.ts';
import type { Slots } from './slots.ts';

/** The processes of one server, from the view of a gateway in one of them. */
export interface GatewayFamily {
  readonly sharing: GatewaySharing;
  readonly state: GatewayState;
}

/** Connections are accepted by one process, which may hand them over. */
export type GatewaySharing =
  | {
      readonly role: 'supervisor';
      /** Hands over a new connection of which nothing has been read. Returns false if it stays here. */
      handOver(socket: Socket, follow: HandedOver): boolean;
    }
  /** Does not listen: connections come by `receive`. */
  | { readonly role: 'worker' };

/** The end of a connection that was handed over: one of the two is called, once. */
export interface HandedOver {
  /** Serves it here after all. */
  takeBack(): void;
  /** It is closed, also by the end of its process. */
  onClosed(): void;
}

/** State that all processes of a server share. */
export interface GatewayState {
  /** Requests over HTTP. */
  readonly requests: Slots;
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
