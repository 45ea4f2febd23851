import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fromBinary, toBinary } from '@bufbuild/protobuf';
import {
  type DescriptorProto,
  type FileDescriptorProto,
  FileDescriptorProtoSchema,
  FileDescriptorSetSchema,
  type ServiceDescriptorProto,
} from '@bufbuild/protobuf/wkt';
import { ROOT } from '../packages/run.ts';
import { buf, protoFiles, write } from './proto-files.ts';

/**
 * Makes the layout of the gem `gitaly-protos`, with the paths of Gitaly's own gem: `require
 * 'gitaly'`. Needs no Ruby and no protoc: the files have the form of those that
 * `grpc_tools_ruby_protoc` writes.
 */
export function makeRubyGem(folder: string, version: string): undefined {
  const image = join(folder, 'image.binpb');
  buf(['build', '--as-file-descriptor-set', '--exclude-source-info', '-o', image], ROOT);
  const { file: files } = fromBinary(FileDescriptorSetSchema, readFileSync(image));
  rmSync(image);
  const ours = files.filter(({ name }) => protoFiles().includes(name));
  const required: string[] = [];
  for (const file of ours) {
    const stem = `gitaly/${file.name.replace(/\.proto$/, '')}`;
    write(join(folder, `lib/${stem}_pb.rb`), messagesOf(file));
    required.push(`${stem}_pb`);
    if (file.service.length === 0) continue;
    write(join(folder, `lib/${stem}_services_pb.rb`), servicesOf(file, `${stem}_pb`));
    required.push(`${stem}_services_pb`);
  }
  const requires = required.map((path) => `require '${path}'\n`).join('');
  write(join(folder, 'lib/gitaly.rb'), `# frozen_string_literal: true\n\n${requires}`);
  write(join(folder, 'gitaly-protos.gemspec'), gemspec(version));
}

function messagesOf(file: FileDescriptorProto): string {
  const lines = file.dependency.map((path) => {
    const stem = path.replace(/\.proto$/, '_pb');
    return `require '${path.includes('/') ? stem : `gitaly/${stem}`}'`;
  });
  const names = [
    ...file.messageType.flatMap((message) => constantsOf(message, '')),
    ...file.enumType.map(({ name }) => constant(name, 'enummodule')),
  ];
  return [
    ...['# frozen_string_literal: true', '# Generated. DO NOT EDIT!', '', "require 'google/protobuf'", ''],
    ...[...lines, ''],
    `descriptor_data = ${rubyString(toBinary(FileDescriptorProtoSchema, file))}.b`,
    'Google::Protobuf::DescriptorPool.generated_pool.add_serialized_file(descriptor_data)',
    ...['', 'module Gitaly', ...names, 'end', ''],
  ].join('\n');
}

function constantsOf(message: DescriptorProto, outer: string): string[] {
  const name = outer + message.name;
  if (message.options?.mapEntry) return [];
  return [
    constant(name, 'msgclass'),
    ...message.nestedType.flatMap((nested) => constantsOf(nested, `${name}::`)),
    ...message.enumType.map((nested) => constant(`${name}::${nested.name}`, 'enummodule')),
  ];
}

function constant(name: string, kind: 'msgclass' | 'enummodule'): string {
  const full = `gitaly.${name.replaceAll('::', '.')}`;
  return `  ${name} = ::Google::Protobuf::DescriptorPool.generated_pool.lookup("${full}").${kind}`;
}

function servicesOf(file: FileDescriptorProto, messages: string): string {
  const services = file.service.map(serviceOf).join('\n');
  const head = "# frozen_string_literal: true\n# Generated. DO NOT EDIT!\n\nrequire 'grpc'\n";
  return `${head}require '${messages}'\n\nmodule Gitaly\n${services}end\n`;
}

function serviceOf({ method: methods, name }: ServiceDescriptorProto): string {
  const calls = methods.map(({ clientStreaming, inputType, name: rpc, outputType, serverStreaming }) => {
    const side = (type: string, isStream: boolean): string =>
      isStream ? `stream(${classOf(type)})` : classOf(type);
    return `      rpc :${rpc}, ${side(inputType, clientStreaming)}, ${side(outputType, serverStreaming)}\n`;
  });
  return `  module ${name}
    class Service
      include ::GRPC::GenericService

      self.marshal_class_method = :encode
      self.unmarshal_class_method = :decode
      self.service_name = 'gitaly.${name}'

${calls.join('')}    end

    Stub = Service.rpc_stub_class
  end
`;
}

/** `.gitaly.GetBlobRequest` → `::Gitaly::GetBlobRequest`. */
function classOf(type: string): string {
  const parts = type.slice(1).split('.');
  return `::${parts.map((part) => part.charAt(0).toUpperCase() + part.slice(1)).join('::')}`;
}

/** Returns a literal in double quotes, in ASCII only. */
function rubyString(bytes: Uint8Array): string {
  const text = [...bytes].map((byte) => {
    const character = String.fromCharCode(byte);
    return /[a-zA-Z0-9 ._/:()-]/.test(character) ? character : `\\x${byte.toString(16).padStart(2, '0')}`;
  });
  return `"${text.join('')}"`;
}

const gemspec = (version: string): string => `# frozen_string_literal: true

Gem::Specification.new do |spec|
  spec.name = 'gitaly-protos'
  spec.version = '${version}'
  spec.summary = "Messages and services of Gitaly's protocol"
  spec.authors = ['The authors of gitaly-ts']
  spec.license = 'MIT'
  spec.files = Dir['lib/**/*.rb'] + ['LICENSE']
  spec.require_paths = ['lib']
  spec.required_ruby_version = '>= 3.1'
  spec.add_dependency 'google-protobuf', '>= 3.21', '< 5'
  spec.add_dependency 'grpc', '~> 1.0'
end
`;
