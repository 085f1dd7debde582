/**
 * The short form in which boot ids are kept and compared: 64 bits of FNV-1a as hexadecimal digits. Two boots of one node are
 * all that is ever told apart by it.
 */
const prime = 0x100000001b3n;
const mask = 0xffffffffffffffffn;

export function bootKey(bootId: string): string {
  let hash = 0xcbf29ce484222325n;
  for (const byte of Buffer.from(bootId, 'utf8')) hash = ((hash ^ BigInt(byte)) * prime) & mask;
  return hash.toString(16).padStart(16, '0');
}
