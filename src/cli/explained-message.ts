import { messageOf } from '#base/gitaly-error';
import { isError } from '#base/is-error';

/** Returns the message of an error, and below it the keys that a configuration error explains. */
export function explainedMessage(error: unknown): string {
  const explanation = isError(error) && 'explanation' in error ? error.explanation : '';
  return explanation === '' ? messageOf(error) : `${messageOf(error)}\n\n${explanation}`;
}
