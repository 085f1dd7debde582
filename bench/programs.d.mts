/** Types of programs.mjs, for the tests. */
export const allCores: string;
