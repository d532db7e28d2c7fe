// What the library says of itself that reads and writes weights.

internal import CFinetuneHDF5
package import FinetuneFiles

extension LibraryVersion {
    /// HDF5's, as this program writes it; finetune-read-weights reads with the same.
    package static var ofCheckpoints: [LibraryVersion] {
        finetune_h5_begin()
        var (major, minor, release): (UInt32, UInt32, UInt32) = (0, 0, 0)
        H5get_libversion(&major, &minor, &release)
        return [LibraryVersion("HDF5", "\(major).\(minor).\(release)")]
    }
}
