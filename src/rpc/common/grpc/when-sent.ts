const WHEN_SENT = Symbol('when sent');

/**
 * Returns the message with a function that a server calls once when the connection has taken all
 * bytes up to the end of this message, so that their memory can be reused. The function is not
 * called when the call ends earlier.
 */
export function whenSent<M extends object>(message: M, done: () => void): M {
  return Object.assign(message, { [WHEN_SENT]: done });
}

/** Returns the function of a message's {@link whenSent}. */
export function whenSentOf(message: unknown): (() => void) | undefined {
  // Any message may have this property.
  return (message as { readonly [WHEN_SENT]?: () => void })[WHEN_SENT];
}
