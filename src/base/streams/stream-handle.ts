import { number, object } from '../shape.ts';

const hasDescriptor = object({ fd: number });

/**
 * Returns the handle of a socket or server. Node does not document it, but every release has it:
 * its own `child_process` and `cluster` pass servers to children by it. Check its shape.
 */
export function handleOf(stream: object): unknown {
  return Reflect.get(stream, '_handle');
}

/** Returns the descriptor of a socket or server; `undefined` if it has none, or is closed. */
export function descriptorOf(stream: object): number | undefined {
  const handle = handleOf(stream);
  return hasDescriptor(handle) && handle.fd >= 0 ? handle.fd : undefined;
}
