/** A test, or anything else that ends. */
interface Context {
  after(work: () => void): void;
}

/**
 * Sets or removes an environment variable of this process until the test ends. Call it once in a
 * test.
 */
export function setVariable(context: Context, name: string, value: string | undefined): void {
  const before = process.env[name];
  assign(name, value);
  context.after(() => assign(name, before));
}

function assign(name: string, value: string | undefined): void {
  if (value === undefined) delete process.env[name];
  else process.env[name] = value;
}
