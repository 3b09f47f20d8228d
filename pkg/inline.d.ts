// The types of `everwire/inline`: those of `everwire`.
export * from './index.js';
