/**
 * Returns a number as Go writes it in bucket bounds, which dashboards match as text: `0.005`, `1`,
 * `1.048576e+06`.
 */
export function formatFloat(value: number): string {
  const [digits = '', power = '0'] = value.toExponential().split('e');
  const exponent = Number(power);
  if (exponent >= -4 && exponent < 6) return String(value);
  return `${digits}e${exponent < 0 ? '-' : '+'}${String(Math.abs(exponent)).padStart(2, '0')}`;
}
