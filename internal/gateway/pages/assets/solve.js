// A worker. It is told a seed and a number of bits, and looks for a number so that the
// SHA-256 (FIPS 180-4) of "seed.number" begins with that many zero bits. It says how
// likely it was to have found one by now, then {proof}. Nothing leaves the page but
// the proof, with the payment.
"use strict";

const fraction = (x) => ((x - Math.floor(x)) * 4294967296) | 0;
const primes = [];
for (let n = 2; primes.length < 64; n++) if (primes.every((p) => n % p)) primes.push(n);
const K = Int32Array.from(primes, (p) => fraction(Math.cbrt(p)));
const H = Int32Array.from(primes.slice(0, 8), (p) => fraction(Math.sqrt(p)));
const w = new Int32Array(64);

// first is the first word of the hash of a text of at most 55 bytes, which stands
// padded in the first 16 words of w. No more than 32 bits are ever asked for.
const first = () => {
  for (let i = 16; i < 64; i++) {
    const x = w[i - 15], y = w[i - 2];
    w[i] = (w[i - 16] + w[i - 7]
      + ((x >>> 7 | x << 25) ^ (x >>> 18 | x << 14) ^ x >>> 3)
      + ((y >>> 17 | y << 15) ^ (y >>> 19 | y << 13) ^ y >>> 10)) | 0;
  }
  let a = H[0], b = H[1], c = H[2], d = H[3], e = H[4], f = H[5], g = H[6], h = H[7];
  for (let i = 0; i < 64; i++) {
    const s = (h + ((e >>> 6 | e << 26) ^ (e >>> 11 | e << 21) ^ (e >>> 25 | e << 7)) + (e & f ^ ~e & g) + K[i] + w[i]) | 0;
    const t = (((a >>> 2 | a << 30) ^ (a >>> 13 | a << 19) ^ (a >>> 22 | a << 10)) + (a & b ^ a & c ^ b & c)) | 0;
    h = g; g = f; f = e; e = (d + s) | 0; d = c; c = b; b = a; a = (s + t) | 0;
  }
  return (a + H[0]) | 0;
};

const write = (text) => {
  w.fill(0, 0, 16);
  for (let i = 0; i < text.length; i++) w[i >> 2] |= text.charCodeAt(i) << (24 - 8 * (i & 3));
  w[text.length >> 2] |= 0x80 << (24 - 8 * (text.length & 3));
  w[15] = text.length * 8;
};

onmessage = ({ data: { seed, bits } }) => {
  for (let n = 0; ; n++) {
    const text = seed + "." + n;
    if (text.length > 55) return; // not ours
    write(text);
    if (Math.clz32(first()) >= bits) return postMessage({ proof: text });
    if (n % 8192 === 8191) postMessage({ part: 1 - Math.exp(-n / 2 ** bits) });
  }
};
