/** git printed something else than a diff of the form that was asked for (a setting of the repository can bring that about). */
export class DiffFormatError extends Error {
  override readonly name = 'DiffFormatError';
}
