const all = new Set<() => Promise<unknown>>();

/**
 * Returns a function that loads a module at its first call. Declare it at the top of a file.
 *
 * A server that runs longer than its files on disk stay the same loads all of them with
 * {@link loadLazyModules}: otherwise an upgrade would mix the modules of two versions in one
 * process.
 */
export function lazyModule<T>(load: () => Promise<T>): () => Promise<T> {
  let loading: Promise<T> | undefined;
  const loadOnce = (): Promise<T> => {
    if (loading === undefined) {
      loading = load();
      loading.catch(() => {
        loading = undefined; // another call may succeed
      });
    }
    return loading;
  };
  all.add(loadOnce);
  return loadOnce;
}

/** Loads all modules that lazyModule has declared so far. @throws the error of the first failure. */
export async function loadLazyModules(): Promise<void> {
  await Promise.all([...all].map((load) => load()));
}
