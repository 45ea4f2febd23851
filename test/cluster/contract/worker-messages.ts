import { nothing, number, text } from '#base/shape';
import { asked, protocol, told } from '#workers/protocol';

/** Questions and messages of the workers in the contract tests. */
export const CONTRACT = protocol('contract', {
  /** Asked before a call; answered with its number when it may go on. */
  begin: asked(nothing, number),
  /** Asked with this number at the end of a call. */
  end: asked(number, nothing),
  /** Told with each line of the log. */
  log: told(text),
});
