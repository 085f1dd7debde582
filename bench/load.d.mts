/** Types of load.mjs, for the tests. */
export function load(
  on: string,
  answerer: { readonly socket: string },
  options: Record<string, string | number>,
): Promise<{ samples: number; p50: number; rate: number }>;
