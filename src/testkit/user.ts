/** The user of changes in requests. */
export const USER = {
  glId: 'user-1',
  glUsername: 'jane',
  name: Buffer.from('Jane'),
  email: Buffer.from('jane@x'),
};
