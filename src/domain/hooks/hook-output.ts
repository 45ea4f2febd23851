/** Where a hook's words go. A write resolves when the reader has room for more. */
export interface HookOutput {
  stdout(bytes: Uint8Array): Promise<void>;
  stderr(bytes: Uint8Array): Promise<void>;
}
