// What a Lambda layer of ours is: made by deploy/layer, published by cli, neither of which may import the other. That is why
// it is here, though it is no part of the domain.
export { type Architecture, architectures, glibcOfRuntime, layerRuntime } from './architecture.ts';
export { compareVersions, readSharedObject } from './elf.ts';
export { LayerError } from './error.ts';
export { directLimit, isWithinGlibc, packLayer, readLayer, unzippedLimit } from './layer.ts';
export {
  bindingPath,
  configurationPath,
  customerCaPath,
  hexSha256,
  libraryPath,
  type Manifest,
  manifestPath,
} from './manifest.ts';
export { type LayerFile, readZip, writeZip, ZipError } from './zip.ts';
