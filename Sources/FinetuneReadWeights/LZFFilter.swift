// h5py's LZF compression as a filter of libhdf5, which has none: the library asks for a chunk, our decoder gives it.

internal import CFinetuneHDF5
internal import FinetuneFiles

enum LZFFilter {
    /// The number under which h5py registered it with The HDF Group.
    static let identifier: Int32 = 32000
    /// Bytes of a whole chunk of the dataset that is being read. The filter's own note of it is the file's word only.
    nonisolated(unsafe) static var chunkBytes = 0  // This process has one thread.

    /// Makes the filter known to the library.
    static func register() -> Bool {
        finetune_h5_register_decoder(identifier, "lzf") { _, _, _, byteCount, bufferSize, buffer in
            guard let bufferSize, let buffer, let input = buffer.pointee, LZFFilter.chunkBytes > 0,
                let output = H5allocate_memory(LZFFilter.chunkBytes, false)
            else { return 0 }
            let isSound = LZF.decode(
                UnsafeRawBufferPointer(start: input, count: byteCount),
                into: UnsafeMutableRawBufferPointer(start: output, count: LZFFilter.chunkBytes))
            guard isSound else {
                H5free_memory(output)
                return 0
            }
            H5free_memory(input)
            buffer.pointee = output
            bufferSize.pointee = LZFFilter.chunkBytes
            return LZFFilter.chunkBytes
        } >= 0
    }
}
