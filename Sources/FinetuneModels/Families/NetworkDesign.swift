// What every family of networks can do: describe a network by a few numbers, and build it.

package import FinetuneEngine

/// A network of a family as a few numbers describe it, such as a ResNet's blocks and widths. It has no weights.
package protocol NetworkDesign: Sendable {
    /// The architecture in the field's words, such as `ResNet-50 v1.5, width 64`.
    var name: String { get }
    var inputChannels: Int { get }
    /// The number of features that the head reads.
    var featureCount: Int { get }
    /// Pixels of a side of the images that the weights are made for; nil where they do not show it.
    var imageSize: Int? { get }
    /// The head's name and outputs; nil without one.
    var head: (name: String, outputs: Int, hasBias: Bool)? { get set }

    func network() -> Network

    /// The names that `--architecture` takes.
    static var architectures: [String] { get }

    /// The network of a name of `architectures`, and the pixels of a side of the images that it is meant for.
    ///
    /// - Returns: Nil for a name that is not the family's, or for a change that the family does not have.
    static func architecture(_ name: String, changes: ArchitectureChanges, outputs: Int) -> (Self, imageSize: Int)?
}

extension NetworkDesign {
    package var imageSize: Int? { nil }
}

/// What may follow the name of an architecture.
package struct ArchitectureChanges: Sendable, Equatable {
    /// The filters of the first convolution, from which all others follow.
    package var width: Int?
    /// The side of the first convolution's filters.
    package var stem: Int?
}

/// Networks of every family have their nodes appended here one after the other.
struct NodeList {
    private(set) var nodes: [Node] = []
    var stage = Stage.stem
    /// The node whose output comes next, and its channels.
    var last = Node.image
    var channels: Int

    init(inputChannels: Int) { channels = inputChannels }

    /// Adds a node that reads the last one.
    mutating func add(_ name: String, _ operation: FinetuneEngine.Operation) { add(name, operation, from: [last]) }

    mutating func add(_ name: String, _ operation: FinetuneEngine.Operation, from inputs: [String]) {
        nodes.append(Node(name, stage: stage, operation, inputs: inputs))
        last = name
    }

    mutating func convolve(_ name: String, _ filters: Int, _ window: Window, groups: Int = 1, hasBias: Bool) {
        let convolution = Convolution(
            channels: channels, filters: filters, groups: groups, window: window, hasBias: hasBias)
        add(name, .convolution(convolution))
        channels = filters
    }

    /// Adds the head, which reads the last node's features.
    mutating func add(head: (name: String, outputs: Int, hasBias: Bool)?) {
        stage = Stage.head
        guard let head else { return }
        add(head.name, .dense(inputs: channels, outputs: head.outputs, hasBias: head.hasBias))
    }
}
