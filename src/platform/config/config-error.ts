/** A problem that does not prevent the start. Log it once, at level warn. */
export interface ConfigWarning {
  readonly message: string;
  readonly fields: Readonly<Record<string, string>>;
}

/** A configuration that cannot be used. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  /**
   * File, key, value and accepted values, one block of lines per key; empty if no key is the cause.
   */
  readonly explanation: string;

  /**
   * @param message text that Gitaly prints after `failed to configure Gitaly: `; its Praefect:
   *   `error reading config file: …`, `validating config: …`.
   */
  constructor(message: string, explanation: string, options?: ErrorOptions) {
    super(message, options);
    this.explanation = explanation;
  }
}
