export const ADMIN_NAME = 'alice';
/** Rules by which only alice changes `main`. */
export const RULES = JSON.stringify({
  protected: [{ on: 'refs/heads/main', create: [ADMIN_NAME], update: [ADMIN_NAME], force: [], delete: [] }],
});

/** Returns a user as `Repository` takes one. */
export function userOf(username: string) {
  return { name: username, email: `${username}@example.com`, id: `username-${username}`, username };
}
