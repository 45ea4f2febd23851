import { secret, text, tlsVersion } from './keys.ts';

/** Keys of `[tls]`, in the configurations of gitaly and praefect. */
export const CERTIFICATE_KEYS = {
  certificate_path: text({
    doc: 'Certificate chain, PEM.',
    example: '"/home/git/cert.cert"',
    accepted: 'an existing PEM file with the certificate',
  }),
  key_path: text({
    doc: 'Private key, PEM.',
    example: '"/home/git/key.pem"',
    accepted: 'an existing PEM file with the private key; not together with key',
  }),
  key: secret({
    doc: 'The private key itself, instead of key_path.',
    accepted: 'a private key in PEM form; not together with key_path',
  }),
  min_version: tlsVersion({ doc: 'Minimum TLS version.', default: 'TLS 1.2', example: '"TLS 1.2"' }),
};
