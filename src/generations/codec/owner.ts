import { integer, object, type Shape, text } from '#base/shape';

/** A server in one epoch: a server that restarts, or whose lease was ended, is another owner. */
export interface Owner {
  readonly server: string;
  readonly epoch: number;
}

export const ownerShape: Shape<Owner> = object({ server: text, epoch: integer });

export function isSameOwner(one: Owner | undefined, other: Owner | undefined): boolean {
  return one?.server === other?.server && one?.epoch === other?.epoch;
}
