// Labelled images to learn from.

internal import FinetuneDatasets

/// Labelled images.
public struct ImageDataset: Sendable {
    let dataset: FinetuneDatasets.ImageDataset

    /// - Parameter path: A folder with a folder of images for each class (`train/`, `val/` and `test/` above them or
    ///   not), a zip or tar archive of it, a CSV with the columns `path,label`, an `.npz`, or a folder of IDX files.
    /// - Throws: An error whose description says what is wrong and what was expected.
    public init(contentsOf path: String) throws { dataset = try FinetuneDatasets.ImageDataset(path) }

    /// The names of the classes, in the order of labels.
    public var classes: [String] { dataset.classes }

    /// The number of images.
    public var count: Int { dataset.items.count }
}
