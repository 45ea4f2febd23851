/** The name of a class that is the same in every copy of this code. */
const KIND = Symbol.for('gitaly-ts.class');

/**
 * Implements `instanceof` for a class that may be loaded more than once in a program: an
 * application uses `gitaly-client`, its tests `gitaly-ts/testing`, and the errors of one must be
 * those of the other. A class takes part with a separate field:
 *
 *     static readonly [SHARED_CLASS]: string = 'CallError';
 *     static override [Symbol.hasInstance](value: unknown): boolean {
 *       return isSharedInstance(this, value);
 *     }
 *
 * Its subclasses without the field have the usual `instanceof`.
 */
export const SHARED_CLASS: typeof KIND = KIND;

/** Reports whether a value is an instance of a class, or of the class of that name in another copy. */
export function isSharedInstance(type: object, value: unknown): boolean {
  if (Function.prototype[Symbol.hasInstance].call(type, value)) return true;
  const kind = kindOf(type);
  if (kind === undefined || typeof value !== 'object' || value === null) return false;
  for (let each = Object.getPrototypeOf(value); each !== null; each = Object.getPrototypeOf(each))
    if (kindOf(each.constructor) === kind) return true;
  return false;
}

function kindOf(type: unknown): unknown {
  if (typeof type !== 'function' || !Object.hasOwn(type, KIND)) return undefined;
  return Object.getOwnPropertyDescriptor(type, KIND)?.value;
}
