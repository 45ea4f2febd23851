/** Permissions that a file with secrets must not have: those of its group and of other users. */
export const FOR_OTHERS = 0o077;
