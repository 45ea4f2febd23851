/** Destination of a hook's output. A write resolves when the reader has space for more. */
export interface HookOutput {
  stdout(bytes: Uint8Array): Promise<void>;
  stderr(bytes: Uint8Array): Promise<void>;
}
