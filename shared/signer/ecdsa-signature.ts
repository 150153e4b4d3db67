/**
 * An ECDSA signature as PKCS#11 returns it, in the form that X.509 carries.
 *
 * @param raw r and s, each as many bytes as the curve's order, big-endian, one after the other (PKCS#11 v2.40 Current
 *   Mechanisms 2.3.1)
 * @returns DER `Ecdsa-Sig-Value ::= SEQUENCE { r INTEGER, s INTEGER }` (RFC 3279 section 2.2.3)
 * @throws RangeError when the length cannot be that of two equal halves of a known curve
 */
export function ecdsaSignatureToDer(raw: Uint8Array): Uint8Array {
  if (raw.length === 0 || raw.length % 2 !== 0 || raw.length > 132) {
    throw new RangeError(`An ECDSA signature of ${raw.length} bytes is not a pair of integers of a known curve`);
  }
  const half = raw.length / 2;
  const r = derInteger(raw.subarray(0, half));
  const s = derInteger(raw.subarray(half));
  const length = r.length + s.length;
  // Past 127 bytes (P-521 only) the length takes the long form, X.690 section 8.1.3.5.
  const header = length < 0x80 ? [0x30, length] : [0x30, 0x81, length];
  return Uint8Array.from([...header, ...r, ...s]);
}

/** An unsigned big-endian number as a DER INTEGER: no superfluous zeros, one in front where the top bit is set. */
function derInteger(unsigned: Uint8Array): number[] {
  let start = 0;
  while (start < unsigned.length - 1 && unsigned[start] === 0) start += 1;
  const content = [...unsigned.subarray(start)];
  if ((content[0] ?? 0) >= 0x80) content.unshift(0);
  return [0x02, content.length, ...content];
}
