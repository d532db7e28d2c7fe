// The page's templates, which are part of the program, and what may be put into them.

internal import Mustache

/// What a template is filled with. Text is escaped here, once and whole, so templates say `{{{name}}}`: Mustache's own
/// escaping goes by `Character` and lets a quote with a combining mark through.
enum Slot: MustacheCustomRepresentation {
    /// Anybody's words. None and an empty one hide the section of this name.
    case text(String?)
    /// HTML that this room has made.
    case markup(String)
    case flag(Bool)
    case list([[String: Slot]])
    case nothing

    var representation: Any? {
        switch self {
        case .text(let text): text.flatMap { $0.isEmpty ? nil : Escaping.html($0) }
        case .markup(let html): html.isEmpty ? nil : html
        case .flag(let isSet): isSet
        case .list(let rows): rows
        case .nothing: nil
        }
    }
}

/// The templates by name.
struct Templates {
    private let library: MustacheLibrary
    let style: String

    /// The sources, by the names that `render` takes.
    static let sources: [(name: String, bytes: [UInt8])] = [
        ("page", PackageResources.page_mustache), ("prose", PackageResources.prose_mustache),
        ("figures", PackageResources.figures_mustache), ("table", PackageResources.table_mustache),
        ("chart", PackageResources.chart_mustache), ("matrix", PackageResources.matrix_mustache),
        ("heatmap", PackageResources.heatmap_mustache), ("plan", PackageResources.plan_mustache),
        ("gallery", PackageResources.gallery_mustache), ("findings", PackageResources.findings_mustache),
        ("keyvalues", PackageResources.keyvalues_mustache),
    ]

    init() throws {
        var library = MustacheLibrary()
        for (name, bytes) in Self.sources {
            do {
                try library.register(String(decoding: bytes, as: UTF8.self), named: name)
            } catch {
                throw ReportError.malformedTemplate(name, "\(error)")
            }
        }
        self.library = library
        style = String(decoding: PackageResources.style_css, as: UTF8.self)
    }

    func render(_ name: String, _ slots: [String: Slot]) throws -> String {
        guard let text = library.render(slots, withTemplate: name) else { throw ReportError.missingTemplate(name) }
        return text
    }
}

/// A page that cannot be made: a fault of this program, not of what it shows.
package struct ReportError: Error, Sendable, CustomStringConvertible {
    package let description: String

    static func malformedTemplate(_ name: String, _ reason: String) -> ReportError {
        ReportError(
            description:
                "cannot write the report: its template '\(name)' is no Mustache: \(reason). Build finetune anew.")
    }

    static func missingTemplate(_ name: String) -> ReportError {
        ReportError(description: "cannot write the report: its template '\(name)' is missing. Build finetune anew.")
    }
}
