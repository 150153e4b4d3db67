/** As Lambda's API calls them (AWS Lambda API reference, PublishLayerVersion, CompatibleArchitectures). */
export const architectures = ['arm64', 'x86_64'] as const;

export type Architecture = (typeof architectures)[number];

/** The runtime of our functions, and whose Node pkcs11js is compiled for. */
export const layerRuntime = 'nodejs24.x';

/** Of Amazon Linux 2023, on which that runtime is (AWS Lambda developer guide, "Lambda runtimes"). */
export const glibcOfRuntime = '2.34';
