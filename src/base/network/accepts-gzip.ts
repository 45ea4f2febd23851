/** Reports whether a header `Accept-Encoding` allows gzip: `gzip;q=0` does not. */
export function acceptsGzip(header: string | string[] | undefined): boolean {
  const codings = String(header ?? '').split(',');
  return codings.some((coding) => {
    const [name = '', ...parameters] = coding.split(';').map((part) => part.trim().toLowerCase());
    const quality = parameters.find((parameter) => parameter.startsWith('q='));
    return name === 'gzip' && (quality === undefined || Number(quality.slice(2)) > 0);
  });
}
