export type SignatureType = 'none' | 'pgp' | 'x509' | 'ssh';

const TYPES: Readonly<Record<string, SignatureType>> = {
  '-----BEGIN SIGNED MESSAGE-----': 'x509',
  '-----BEGIN PGP MESSAGE-----': 'pgp',
  '-----BEGIN PGP SIGNATURE-----': 'pgp',
  '-----BEGIN SSH SIGNATURE-----': 'ssh',
};

/**
 * Returns the kind of a signature from its first line. The comparison is exact: a carriage return
 * at the end makes it `none`.
 */
export function signatureTypeOf(firstLine: Buffer): SignatureType {
  const text = firstLine.toString('latin1');
  return Object.hasOwn(TYPES, text) ? (TYPES[text] ?? 'none') : 'none';
}
