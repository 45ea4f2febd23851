/** Something among the files of references that only git can judge: the list has to come from git. Never leaves this folder. */
export class OddReferencesError extends Error {
  override readonly name = 'OddReferencesError';
}
